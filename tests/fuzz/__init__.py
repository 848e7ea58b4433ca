"""Damaged and hostile input for every reader of bytes: read, or refused in one line, soon and in little memory."""
