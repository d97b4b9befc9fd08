"""The functions behind the commands, such as ``train`` and ``evaluate``; they combine the code in other folders."""
