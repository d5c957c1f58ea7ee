"""What is wrong with a photo, taken out: noise, blur, JPEG's traces, stains."""
