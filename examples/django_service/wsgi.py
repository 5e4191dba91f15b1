"""What a WSGI server runs: `gunicorn examples.django_service.wsgi`."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "examples.django_service.settings")
application = get_wsgi_application()
