"""Labels taken in, and refused rows mended."""
