"""What a run leaves: run.json, run.hlog, report.html, and the view in the terminal."""
