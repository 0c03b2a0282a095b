"""Keep the loaders' progress bars, prints and advice off the terminal: stdout belongs to results, stderr to logs."""

import contextlib
import io
import logging
import warnings
from collections.abc import Generator

_LOGGERS = ("transformers", "huggingface_hub", "transformer_lens")


@contextlib.contextmanager
def quiet_loading() -> Generator[None]:
    """Silence Hugging Face and TransformerLens while a model loads; their errors are still raised."""
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
    from transformers.utils import logging as hf_logging

    bars, hub_bars = hf_logging.is_progress_bar_enabled(), not are_progress_bars_disabled()
    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hf_logging.disable_progress_bar()
        disable_progress_bars()
        for name in _LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
            if bars:
                hf_logging.enable_progress_bar()
            if hub_bars:
                enable_progress_bars()
