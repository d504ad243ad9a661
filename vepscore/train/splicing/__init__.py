"""Train the splicing part of a compact network alone, on the predictions of published networks."""
