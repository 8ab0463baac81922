"""How objects look in a notebook: tables of HTML and pictures of SVG."""
