"""Conversion of whole files from Darknet to Keras and back.

May import `models` and what it may import.
"""
