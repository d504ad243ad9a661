"""Read the arrays of a Keras HDF5 file with h5py, without Keras. The description of the network in it is ignored."""

import io

import numpy as np

from vepscore.errors import CheckpointError, requiring

_WEIGHTS, _NAMES = "model_weights", "weight_names"
_LARGEST_ELEMENTS = 1 << 28


def read_keras_arrays(data: bytes, where: object) -> dict[str, np.ndarray]:
    """Return the arrays of all layers by name, "conv1d_1/kernel:0".

    Args:
        data: the content of the file.
        where: the file, for messages.

    Raises:
        UsageError: h5py is not installed.
        CheckpointError: it is not a whole HDF5 file of a Keras network.
    """
    with requiring("SpliceAI's weights are HDF5, read by h5py", "convert"):
        import h5py
    arrays = {}
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            for layer in file[_WEIGHTS].values():
                for name in layer.attrs[_NAMES]:
                    dataset = layer[name]
                    if dataset.size > _LARGEST_ELEMENTS:
                        raise CheckpointError(f"{where}: {name!r} has {dataset.size} elements")
                    arrays[name if isinstance(name, str) else name.decode()] = np.asarray(
                        dataset[...], np.float32
                    )
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise CheckpointError(f"{where}: not a whole HDF5 file of a Keras network ({error})") from error
    return arrays
