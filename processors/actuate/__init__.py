"""Roll decisions out to a growing share, judge each minute, and take back what is worse."""
