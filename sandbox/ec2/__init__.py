"""AWS on loopback: EC2 with its own data, the price list, CloudWatch; moto for other operations."""
