module sluice/interop/mqtt

go 1.18

require github.com/eclipse/paho.golang v0.12.0

require (
	github.com/gorilla/websocket v1.5.0 // indirect
	golang.org/x/net v0.17.0 // indirect
	golang.org/x/sync v0.4.0 // indirect
)
