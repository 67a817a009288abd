"""The dialect of DeepStack and CodeProject.AI, spoken before a running service."""
