"""What is known of movies besides their pictures: read from public tables, kept in the catalogue, and what it says
is similar.
"""
