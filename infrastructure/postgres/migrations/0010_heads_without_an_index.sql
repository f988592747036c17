-- Nothing asks for heads by position: they are found by tenant and by id. Each of their updates, one a tenant and batch,
-- had to write to all indexes for it.

DROP INDEX audit_heads_position;
