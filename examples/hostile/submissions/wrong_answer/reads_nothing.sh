exec 0<&-
echo "$(hostname 2>/dev/null) nothing"
