"""Results as one HTML file that opens from a disk, see `page.write_report`."""
