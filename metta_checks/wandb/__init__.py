"""Source `wandb`: the training runs of one Weights & Biases entity, project by project, through GraphQL."""
