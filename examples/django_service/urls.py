"""Which path leads to which view."""

from __future__ import annotations

from django.urls import path

from examples.django_service import views

urlpatterns = [
    path("healthz", views.health),
    path("readyz", views.readiness),
    path("people", views.people),
    path("teams", views.create_team),
    path("teams/<str:team_id>", views.team),
    path("teams/<str:team_id>/members/<str:person_id>", views.member),
]
