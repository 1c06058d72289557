"""What treatments did, for people: from tables to effects, figures and one page."""
