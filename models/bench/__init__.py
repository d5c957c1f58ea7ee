"""How long the nets take for one photo of 512 px, in each way of running them."""
