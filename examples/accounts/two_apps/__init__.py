"""Two apps on PostgreSQL that share one users table, its accounts, and sign-ins.

Install `quartlogin[postgres]`, create the table of `members.sql`, set `DATABASE_URL` and `SECRET_KEY`, and start both
in the folder of the repository:

    hypercorn -b localhost:8000 'examples.accounts.two_apps.wiki:create_app()'
    hypercorn -b localhost:8001 'examples.accounts.two_apps.calendar:create_app()'

Cookies do not tell ports apart: who has signed in at http://localhost:8000 is signed in at http://localhost:8001.
"""
