"""What people say of the variants: blind trials, durable votes, and scores that say only what the votes support."""
