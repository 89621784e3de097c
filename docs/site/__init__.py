"""The documentation as a site: pages that are generated, the tutorials, and the build itself."""
