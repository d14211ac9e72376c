#include "server/tls_files.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace sluice::server {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t file_max = 4 << 20;  // bundles of authorities are some 200 KiB

Result<net::PemFile> read_pem(std::string_view setting, const std::string& path) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  if (error) return fail(Errc::malformed, "{}: {}: {}", setting, path, error.message());
  if (size > file_max) return fail(Errc::malformed, "{}: {} is larger than 4 MiB", setting, path);
  std::ifstream file(path, std::ios::binary);
  std::string content(std::istreambuf_iterator<char>(file), {});
  if (!file) return fail(Errc::malformed, "{}: {}: {}", setting, path, std::strerror(errno));
  return net::PemFile{path, std::move(content)};
}

Result<net::Credentials> read_credentials(std::string_view certificate_setting,
                                          const std::string& certificate,
                                          std::string_view key_setting, const std::string& key) {
  net::Credentials credentials;
  SLUICE_TRY_ASSIGN(credentials.certificate, read_pem(certificate_setting, certificate));
  SLUICE_TRY_ASSIGN(credentials.key, read_pem(key_setting, key));
  return credentials;
}

Result<std::map<std::string, net::Credentials>> read_hosts(const std::string& dir) {
  constexpr std::string_view setting = "tls.sni_dir";
  std::map<std::string, net::Credentials> hosts;
  std::error_code error;
  fs::directory_iterator entries(dir, error);
  if (error) return fail(Errc::malformed, "{}: {}: {}", setting, dir, error.message());
  for (const auto& entry : entries) {
    fs::path path = entry.path();
    if (path.extension() != ".crt") continue;
    const std::string certificate = path.string();
    const std::string host = path.stem().string();
    const std::string key = path.replace_extension(".key").string();
    SLUICE_TRY_ASSIGN(hosts[host], read_credentials(setting, certificate, setting, key));
  }
  return hosts;
}

net::ClientCertificates client_certificates(const std::string& choice) {
  if (choice == "optional") return net::ClientCertificates::optional;
  return choice == "required" ? net::ClientCertificates::required : net::ClientCertificates::off;
}

}  // namespace

Result<std::shared_ptr<const net::TlsContext>> load_tls(const Config::Tls& config, WallMs now) {
  net::TlsOptions options;
  SLUICE_TRY_ASSIGN(options.credentials,
                    read_credentials("tls.certificate", config.certificate, "tls.key", config.key));
  if (!config.sni_dir.empty()) {
    SLUICE_TRY_ASSIGN(options.hosts, read_hosts(config.sni_dir));
  }
  options.client_certificates = client_certificates(config.client_certificates);
  if (options.client_certificates != net::ClientCertificates::off) {
    SLUICE_TRY_ASSIGN(options.client_ca, read_pem("tls.client_ca", config.client_ca));
  }
  options.version_min =
      config.min_version == "1.3" ? net::TlsVersion::tls_1_3 : net::TlsVersion::tls_1_2;
  return net::TlsContext::make(options, now);
}

std::vector<std::string> tls_files(const Config::Tls& config) {
  std::vector<std::string> files{config.certificate, config.key};
  if (config.client_certificates != "off") files.push_back(config.client_ca);
  if (config.sni_dir.empty()) return files;
  files.push_back(config.sni_dir);
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(config.sni_dir, error))
    files.push_back(entry.path().string());
  return files;
}

}  // namespace sluice::server
