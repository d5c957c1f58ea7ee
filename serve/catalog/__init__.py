"""What to make of a listing (recipes) and what a sales channel accepts (profiles): versioned YAML, validated."""
