module run

go 1.21
