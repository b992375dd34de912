"""What Custom Model Import sends and takes, read and written exactly. Both directions share one description."""
