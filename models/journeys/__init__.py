"""Which way do people take, from the first visit to the sale, and where do they leave it?"""
