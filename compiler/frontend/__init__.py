"""Front ends: from the files of other projects to graphs."""
