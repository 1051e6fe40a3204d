"""Tests of the checklist: python3 -m unittest discover -s tests/gpu_checklist/tests -t tests/gpu_checklist"""
