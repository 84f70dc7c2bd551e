"""The Space's entry point: settings from the environment, the app, launch."""

import logging
import os
import sys

import torch

from sr_core.errors import SRError
from ui.factory import create_app, serve
from ui.settings import Settings


def main() -> None:
    """Serves the app until it is interrupted."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    try:
        settings = Settings.from_environment(os.environ)
        if settings.threads is not None:
            torch.set_num_threads(settings.threads)
        app = create_app(settings)
    except SRError as error:
        sys.exit(str(error))
    serve(app, settings)


if __name__ == "__main__":
    main()
