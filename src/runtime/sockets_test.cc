#include "runtime/sockets.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "sim/temp_dir.h"

namespace sluice::runtime {
namespace {

FileDescriptor connect_to(const sockaddr* address, socklen_t size) {
  FileDescriptor client(::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::connect(client.get(), address, size), 0);
  return client;
}

FileDescriptor connect_by_ipv4(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return connect_to(reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

FileDescriptor connect_by_ipv6(std::uint16_t port) {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  address.sin6_addr = in6addr_loopback;
  return connect_to(reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

sockaddr_un unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

FileDescriptor connect_by_path(const std::string& path) {
  const sockaddr_un address = unix_address(path);
  return connect_to(reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

// What a process leaves that listened there and was killed.
void leave_socket_behind(const std::string& path) {
  const FileDescriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = unix_address(path);
  ASSERT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(fd.get(), 1), 0);
}

TEST(ListeningSocket, AcceptedConnectionsDoNotWaitForMoreToSend) {
  const auto listening = ListeningSocket::open({"127.0.0.1", 0});
  ASSERT_TRUE(listening) << listening.error().text;
  const auto client = connect_by_ipv4(listening->endpoint().port);
  const FileDescriptor accepted(listening->accept());
  ASSERT_TRUE(accepted.valid());
  int on = 0;
  socklen_t size = sizeof on;
  ASSERT_EQ(::getsockopt(accepted.get(), IPPROTO_TCP, TCP_NODELAY, &on, &size), 0);
  EXPECT_NE(on, 0);
}

TEST(ListeningSocket, AllAddressesOfIpv6AreThoseOfIpv4AsWellWhichKeepTheirText) {
  const auto listening = ListeningSocket::open({"::", 0});
  if (!listening) GTEST_SKIP() << "no IPv6 here: " << listening.error().text;
  const auto old = connect_by_ipv4(listening->endpoint().port);
  const FileDescriptor accepted_old(listening->accept());
  EXPECT_EQ(peer_endpoint_of(accepted_old.get()).address, "127.0.0.1");
  const auto modern = connect_by_ipv6(listening->endpoint().port);
  const FileDescriptor accepted_modern(listening->accept());
  EXPECT_EQ(peer_endpoint_of(accepted_modern.get()).address, "::1");
}

class UnixSocketTest : public testing::Test {
 protected:
  [[nodiscard]] Result<ListeningSocket> open() const { return ListeningSocket::open({address_}); }
  [[nodiscard]] std::string error() const {
    const auto listening = open();
    return listening ? "" : listening.error().text;
  }

  sim::TempDir directory_;
  std::string path_ = directory_.file("hub.sock");
  std::string address_ = "unix:" + path_;
};

TEST_F(UnixSocketTest, ItIsForItsOwnerAloneAndGoesWhenItIsClosed) {
  {
    const auto listening = open();
    ASSERT_TRUE(listening) << listening.error().text;
    EXPECT_EQ(to_string(listening->endpoint()), address_);
    struct stat status{};
    ASSERT_EQ(::stat(path_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    const auto client = connect_by_path(path_);
    const FileDescriptor accepted(listening->accept());
    ASSERT_TRUE(accepted.valid());
    EXPECT_EQ(to_string(peer_endpoint_of(accepted.get())),
              fmt::format("unix:pid={},uid={}", ::getpid(), ::getuid()));
  }
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(UnixSocketTest, LoopsOfOneProcessShareItUntilTheLastHasClosedIt) {
  auto first = open();
  auto second = open();
  ASSERT_TRUE(first && second);
  EXPECT_NE(first->fd(), second->fd());
  first->close();
  const auto client = connect_by_path(path_);
  const FileDescriptor accepted(second->accept());
  EXPECT_TRUE(accepted.valid());
  second->close();
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(UnixSocketTest, WhatADeadProcessHasLeftIsReplaced) {
  leave_socket_behind(path_);
  const auto listening = open();
  ASSERT_TRUE(listening) << listening.error().text;
  const auto client = connect_by_path(path_);
  EXPECT_TRUE(FileDescriptor(listening->accept()).valid());
}

TEST_F(UnixSocketTest, WhatALivingProcessListensOnIsLeftAlone) {
  const FileDescriptor other(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = unix_address(path_);
  ASSERT_EQ(::bind(other.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(other.get(), 8), 0);
  EXPECT_EQ(error(), "cannot listen on " + address_ + ": another process listens there");
  const auto client = connect_by_path(path_);
}

TEST_F(UnixSocketTest, AFileThatIsNoSocketIsLeftAlone) {
  std::ofstream(path_) << "precious";
  EXPECT_EQ(error(), "cannot listen on " + address_ + ": there is a file that is no socket");
  EXPECT_EQ(std::filesystem::file_size(path_), 8u);
}

TEST_F(UnixSocketTest, TheFileOfASuccessorIsNotRemoved) {
  {
    const auto listening = open();
    ASSERT_TRUE(listening);
    std::filesystem::remove(path_);
    leave_socket_behind(path_);
  }
  EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST_F(UnixSocketTest, APathThatIsTooLongOrMissingIsNamed) {
  const std::string too_long = "unix:/" + std::string(UnixSocket::path_max, 'x');
  for (const std::string& address : {std::string("unix:"), too_long}) {
    const auto listening = ListeningSocket::open({address});
    ASSERT_FALSE(listening);
    EXPECT_EQ(listening.error().text, address + ": a path of 1 to 107 bytes is needed");
    EXPECT_FALSE(parse_endpoint(address));
  }
}

}  // namespace
}  // namespace sluice::runtime
