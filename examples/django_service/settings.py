"""Django's settings. It keeps nothing itself: no database of its own, no sessions, no cookies."""

from __future__ import annotations

import os

FASTNESS_URL = os.environ.get("FASTNESS_URL", "fastness://127.0.0.1:3278/?cache=on")
"""The one line of configuration, as fastness+unix:///run/fastness/socket?cache=on."""

ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "localhost,127.0.0.1").split(",")
ROOT_URLCONF = "examples.django_service.urls"
MIDDLEWARE = ["examples.django_service.middleware.FastnessErrors"]
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024
"""Bytes of a request's body."""
USE_TZ = True
