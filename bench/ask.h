// Questions to a server over HTTP, as a program would put them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace likeness {

// One upload on a connection of its own to 127.0.0.1, until the answer is read. Something else than an object when the
// answer is no JSON. Throws when there is no server.
nlohmann::json Ask(int port, const std::string& body, const std::string& target = "/v1/search?k=24",
                   const char* type = "application/octet-stream");

// Whether the first hit is the picture that was asked with, by its signature.
bool FoundItself(const nlohmann::json& answer);

}  // namespace likeness
