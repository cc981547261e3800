"""What did people do, as conditions of journeys and segments ask it?"""
