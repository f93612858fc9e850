"""Source `ec2`: instances, volumes, snapshots and their list price, of one AWS account over one or more regions."""
