"""Every pair of numbers of 16 bits, judged, and the certificate that says so."""
