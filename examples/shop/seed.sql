CREATE TABLE products (id int PRIMARY KEY, name text NOT NULL, cents int NOT NULL);
INSERT INTO products SELECT n, 'product ' || n, 500 + 10 * n FROM generate_series(1, 12) AS n;

CREATE TABLE carts (customer text, product int, quantity int NOT NULL, PRIMARY KEY (customer, product));
INSERT INTO carts VALUES ('alice', 1, 1), ('alice', 3, 2), ('bob', 2, 1);

CREATE TABLE stock (product int PRIMARY KEY, available bigint NOT NULL);
INSERT INTO stock SELECT n, 1000000000 FROM generate_series(1, 12) AS n;
CREATE TABLE reservations (order_id text PRIMARY KEY);
CREATE TABLE warehouses (town text PRIMARY KEY);
INSERT INTO warehouses VALUES ('Rotterdam'), ('Gdansk');

CREATE TABLE payments (order_id text PRIMARY KEY, cents int NOT NULL);
INSERT INTO payments VALUES ('first', 1000);
CREATE TABLE fees (method text PRIMARY KEY, cents int NOT NULL);
INSERT INTO fees VALUES ('card', 30), ('invoice', 0);
