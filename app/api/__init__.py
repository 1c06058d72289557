"""Translates HTTP and delegates: one router a resource."""
