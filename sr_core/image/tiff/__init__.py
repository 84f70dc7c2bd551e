"""TIFF files, and the directories that EXIF blocks and RAW files are made of as well."""
