"""Docstrings as the site renders them: ``Example:`` as Google's style has it, and Sphinx's roles as code."""

import re

from griffe import Extension


class Docstrings(Extension):
    """Read Keras' form of docstrings, whose references are those of Sphinx."""

    def on_instance(self, *, obj, **arguments):
        """Rewrite the docstring of a module, class, function or attribute."""
        if obj.docstring:
            text = re.sub(r":(?:class|func|mod|meth|data|attr):`~?([^`]+)`", r"`\1`", obj.docstring.value)
            obj.docstring.value = re.sub(r"^( *)Example:", r"\1Examples:", text, flags=re.MULTILINE)
