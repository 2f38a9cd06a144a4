"""What is tested: the files of a model in SafeTensors, APR and GGUF."""
