"""The errors a user can see, each one a sentence that can be acted on.

    SRError
    ├── PhotoError                the photo that came in
    │   ├── UnreadablePhotoError      damaged, truncated or empty
    │   ├── UnsupportedFormatError    a family of files that is not read (or written) here
    │   └── PhotoTooLargeError        beyond a limit of the settings, refused before any pixel is read
    ├── OutputError               the result cannot be written as asked
    ├── ModelError                the model that was asked for
    │   ├── UnknownModelError         no such id
    │   ├── WeightsError              the weight file is missing, damaged or does not fit the spec
    │   └── PackageError              the Core ML package is missing, damaged, unsafe or not as it must be
    ├── VoteError                 a vote that cannot be taken, or the store of votes
    │   ├── AnswerError               the answer does not fit what was asked
    │   ├── BallotError               the ballot is not ours, too old, or answered otherwise before
    │   └── VoteLimitError            no more votes of this rater, or no trials left
    └── OptionError               an option outside its range (tile, overlap, precision, ...)

Everything else that is raised is a bug and is not caught where users are served.
"""

__all__ = [
    "AnswerError",
    "BallotError",
    "ModelError",
    "OptionError",
    "OutputError",
    "PackageError",
    "PhotoError",
    "PhotoTooLargeError",
    "SRError",
    "UnknownModelError",
    "UnreadablePhotoError",
    "UnsupportedFormatError",
    "VoteError",
    "VoteLimitError",
    "WeightsError",
]


class SRError(Exception):
    """A mistake of the user or of a file; ``str(error)`` is one sentence for the user."""


class PhotoError(SRError):
    """The photo that came in cannot be used."""


class UnreadablePhotoError(PhotoError):
    """The file is damaged, truncated or empty."""


class UnsupportedFormatError(PhotoError):
    """The file belongs to a family that is not supported."""


class PhotoTooLargeError(PhotoError):
    """The photo exceeds a limit that the sentence names."""


class OutputError(SRError):
    """The result cannot be written as asked."""


class ModelError(SRError):
    """The model that was asked for cannot be used."""


class UnknownModelError(ModelError):
    """No model has this id."""


class WeightsError(ModelError):
    """The weight file is missing, damaged or does not fit the spec."""


class PackageError(ModelError):
    """The Core ML package is missing, damaged, unsafe or not as it must be."""


class VoteError(SRError):
    """A vote cannot be taken as it is, or votes cannot be stored or read."""


class AnswerError(VoteError):
    """The answer does not fit what was asked."""


class BallotError(VoteError):
    """The ballot was not given out here, is too old, or was answered otherwise before."""


class VoteLimitError(VoteError):
    """This rater has no votes left today, or no trial is left."""


class OptionError(SRError):
    """An option is outside its range."""
