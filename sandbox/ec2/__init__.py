"""AWS on loopback: EC2 with its own data, the price list, CloudWatch; moto behind it for the rest."""
