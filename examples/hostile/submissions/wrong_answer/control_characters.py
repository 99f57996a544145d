import sys

sys.stdout.buffer.write(
    b"\x1b[2J\x1b[31mAC\x1b]0;accepted\x07\r\x9b31m\0\x08\x7f" + "\u202e\u2066\u200b\ufeff[bold]AC[/bold]".encode()
    + b"<script>alert(1)</script>]]>&\xff\xfe\xc0\x80\n"
)
