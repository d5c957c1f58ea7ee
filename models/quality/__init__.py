"""How good a picture is: measured by rules, and judged by a net."""
