"""Simulations as one page that needs no network: charts, tables that sort, and pictures of the fabric."""
