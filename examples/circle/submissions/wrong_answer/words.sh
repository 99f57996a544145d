read -r r
echo "pi $r"
