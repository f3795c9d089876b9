"""The command line: ``train``, ``infer``, ``evaluate`` and ``fetch-weights``. Nothing else imports it but experiments."""
