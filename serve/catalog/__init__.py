"""What to make of a listing (recipes) and what a sales channel accepts (channel profiles): versioned YAML, validated."""
