"""What a visitor is told when something fails: the sentence of a mistake, or the number of a bug."""

import logging
import uuid

import gradio as gr

from sr_core.errors import SRError
from ui import text

__all__ = ["failure_sentence", "spoken_error"]

_LOG = logging.getLogger(__name__)


def failure_sentence(error: Exception) -> str:
    """Returns what a visitor may read of an error; a bug is logged with the job id that the sentence names."""
    if isinstance(error, SRError):
        return str(error)
    if isinstance(error, gr.Error):
        return str(error.message)
    job = uuid.uuid4().hex[:8]
    _LOG.error("job %s failed", job, exc_info=error)
    return text.BUG.format(job=job)


def spoken_error(sentence: str) -> gr.Error:
    """Returns the error that makes Gradio show a sentence and nothing else, to browsers and to API clients."""
    return gr.Error(sentence, print_exception=False)
